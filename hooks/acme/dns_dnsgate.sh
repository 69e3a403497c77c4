#!/usr/bin/env sh
# acme.sh --dns dns_dnsgate: acme.sh sources this file and calls
# dns_dnsgate_add or dns_dnsgate_rm with _acme-challenge.NAME and the value.

dns_dnsgate_add() {
	/usr/local/bin/dnsgate-push --acme add -- "$1" "$2"
}

dns_dnsgate_rm() {
	/usr/local/bin/dnsgate-push --acme del -- "$1" "$2"
}
