package rfc2136

import (
	"errors"
	"fmt"
	"time"
)

// rcode is a response code other than NOERROR, as an error (RFC 1035 section
// 4.1.1, RFC 2136 section 2.2).
type rcode int

const (
	formErr  rcode = 1
	servFail rcode = 2
	nxDomain rcode = 3
	notImp   rcode = 4
	refused  rcode = 5
	yxDomain rcode = 6
	yxRRSet  rcode = 7
	nxRRSet  rcode = 8
	notAuth  rcode = 9
	notZone  rcode = 10
)

func (r rcode) Error() string {
	switch r {
	case formErr:
		return "FORMERR: the server cannot read the update; its log may say why"
	case servFail:
		return "SERVFAIL: the server failed inside; see its log (may it write the zone's file, journal and folder?)"
	case nxDomain:
		return "NXDOMAIN: the server misses a name that this update does not ask for; see its log"
	case notImp:
		return "NOTIMP: the server takes no updates at all; perhaps it is a secondary only (as NSD is), " +
			"or has updates switched off (PowerDNS: dnsupdate=yes): name the primary as server"
	case refused:
		return "REFUSED: the server does not let this key change this name, or not of these types; see allow-update or update-policy (BIND), " +
			"acl and its update-type (Knot), dnsupdate, allow-dnsupdate-from and TSIG-ALLOW-DNSUPDATE (PowerDNS)"
	case yxDomain:
		return "YXDOMAIN: the server has a name that this update does not ask for; see its log"
	case yxRRSet:
		return "YXRRSET: the name has a CNAME record, and so can have no other; remove it first"
	case nxRRSet:
		return "NXRRSET: the server misses a record set that this update does not ask for; see its log"
	case notAuth:
		return "NOTAUTH: the server is not the primary of this zone; check zone and server"
	case notZone:
		return "NOTZONE: the name is not in the zone on this server; perhaps a zone below it is a zone of its own"
	}
	return fmt.Sprintf("RCODE %d: the server did not apply the update; see its log", int(r))
}

// asError tells the codes that hosts of the message may have caused from those that
// every message would get.
func (r rcode) asError() error {
	switch r {
	case notImp, notAuth:
		return r
	}
	return hostError{r}
}

// unsignedRefusal is REFUSED without a signature, at the time of the update. PowerDNS
// answers this where others say BADSIG, BADKEY or BADTIME.
type unsignedRefusal struct{ at time.Time }

func (e unsignedRefusal) Error() string {
	return "REFUSED, and unsigned: the server does not accept our signature, or none from here; " +
		"check tsig_name, tsig_algorithm, the secret, the server's address list, and both clocks (it is " +
		e.at.UTC().Format(time.RFC3339) + " here)"
}

func (e unsignedRefusal) Unwrap() error { return refused }

// tsigError is the error field of a TSIG record (RFC 8945 section 3).
type tsigError uint16

const (
	badSig   tsigError = 16
	badKey   tsigError = 17
	badTime  tsigError = 18
	badTrunc tsigError = 22
)

func (e tsigError) Error() string {
	switch e {
	case badSig:
		return "BADSIG: the signature is wrong; the server has another secret for the key of this name"
	case badKey:
		return "BADKEY: the server does not know the key, has it with another algorithm, " +
			"or (Knot) does not let it change this name, or not of these types; check tsig_name, tsig_algorithm and acl"
	case badTime:
		return "BADTIME: the clocks of this machine and of the server differ too much; set both by NTP"
	case badTrunc:
		return "BADTRUNC: the server does not like the length of the signature"
	}
	return fmt.Sprintf("TSIG error %d: the server does not accept the signature; see its log", uint16(e))
}

// asError is as rcode's: Knot answers BADKEY where others answer REFUSED.
func (e tsigError) asError() error {
	if e == badKey {
		return hostError{e}
	}
	return e
}

// skewError is BADTIME with the times.
type skewError struct{ ours, theirs time.Time }

func clockSkew(ours, theirs time.Time) error {
	return skewError{ours.UTC(), theirs.UTC()}
}

func (e skewError) Error() string {
	return fmt.Sprintf("BADTIME: clock skew: it is %s here and %s at the server, %s apart where %s are allowed; set both clocks by NTP",
		e.ours.Format(time.RFC3339), e.theirs.Format(time.RFC3339), e.theirs.Sub(e.ours).Abs().Round(time.Second), fudge)
}

func (e skewError) Unwrap() error { return badTime }

// hostError is an error that hosts of the message may have caused, rather
// than the way to the server.
type hostError struct{ error }

func (e hostError) Unwrap() error { return e.error }

func concernsHosts(err error) bool {
	var h hostError
	return errors.As(err, &h)
}

// isRefusal reports whether the server, and not dnsgate itself, refused a message.
func isRefusal(err error) bool {
	var code rcode
	var tsig tsigError
	return errors.As(err, &code) || errors.As(err, &tsig)
}
