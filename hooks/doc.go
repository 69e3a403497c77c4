// Package hooks holds no Go code: it is the folder of dnsgate-push, the shell
// script that tells a gateway this machine's addresses, and of the callers
// that run it. Its tests run them as pppd, DHCP clients, cron and ACME clients
// do, against the real gateway.
package hooks
