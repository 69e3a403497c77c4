# ddns-scripts sources this file in its function send_update, with the address in
# __IP, the name in domain, and files for the answer and for errors. It tries
# again by itself.
# shellcheck disable=SC2154 # ddns-scripts sets them
/usr/bin/dnsgate-push -v --force --retry 0 --host "$domain" -- "$__IP" >"$DATFILE" 2>"$ERRFILE" || {
	write_log 4 "dnsgate-push: $(tail -n 1 "$ERRFILE")"
	return 1
}
write_log 7 "dnsgate-push: $(cat "$DATFILE")"
return 0
