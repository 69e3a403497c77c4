package authkeys

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dnsgate/internal/durable"

	"golang.org/x/crypto/ssh"
)

// ErrRevoked is wrapped by Guard.Lookup's error for a revoked key, whatever
// authorized_keys says.
var ErrRevoked = errors.New("the key is revoked")

// revocations are the content of a file of revoked keys.
type revocations struct {
	fingerprints map[string]bool // of keys, and of CAs
	ids          map[string]bool // of certificates
}

// LoadRevoked reads the file at path once. It trusts the file on the same conditions as
// authorized_keys. One line that it does not understand is an error of the whole file:
// ignoring the line would let in the key that it means.
func LoadRevoked(path string) error {
	_, err := loadRevoked(path)
	return err
}

func loadRevoked(path string) (*revocations, error) {
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	return parseRevoked(path, content)
}

func parseRevoked(path string, content []byte) (*revocations, error) {
	if bytes.HasPrefix(content, []byte("SSHKRL\n")) {
		return nil, fmt.Errorf("%s:1: this is a KRL of ssh-keygen -k; give public keys, SHA256: fingerprints and id:KEYID, one a line", path)
	}
	r := &revocations{make(map[string]bool), make(map[string]bool)}
	number := 0
	for line := range bytes.Lines(content) {
		number++
		if text := strings.Trim(string(line), " \t\r\n"); text != "" && text[0] != '#' {
			if err := r.add(text); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, number, err)
			}
		}
	}
	return r, nil
}

// IsFingerprint reports whether text is a fingerprint in ssh-keygen -l's form:
// "SHA256:" and 43 letters of base64.
func IsFingerprint(text string) bool {
	letters, ok := strings.CutPrefix(text, "SHA256:")
	digest, err := base64.RawStdEncoding.Strict().DecodeString(letters)
	return ok && err == nil && len(letters) == 43 && len(digest) == sha256.Size // the decoder ignores line ends
}

func (r *revocations) add(text string) error {
	if id, ok := strings.CutPrefix(text, "id:"); ok {
		if id = strings.Trim(id, " \t"); id == "" {
			return errors.New("the certificate's id behind id: is missing")
		}
		r.ids[id] = true
		return nil
	}
	if strings.HasPrefix(text, "SHA256:") {
		fingerprint, _ := cutWord(text)
		if !IsFingerprint(fingerprint) {
			return fmt.Errorf("%s is not a fingerprint, as ssh-keygen -l prints it", quote(fingerprint))
		}
		r.fingerprints[fingerprint] = true
		return nil
	}
	key, _, err := ParseKey(text)
	if err != nil {
		return fmt.Errorf("neither a public key nor SHA256:... nor id:KEYID: %w", err)
	}
	r.fingerprints[ssh.FingerprintSHA256(key)] = true
	return nil
}

// has says which part of g's key is revoked: itself, the CA of its certificate, or the
// certificate's id; empty: none.
func (r *revocations) has(g Grant) string {
	switch c := g.Certificate; {
	case r.fingerprints[g.Fingerprint]:
		return "by its fingerprint"
	case c == nil:
		return ""
	case r.fingerprints[c.CA]:
		return "with its CA"
	case r.ids[c.ID]:
		return "by the id " + quote(c.ID) + " of its certificate"
	}
	return ""
}

// Revoked is a file of revoked keys in use. It notices changes within a second. When
// the file cannot be read, the last list stays in force. Its methods may be called by
// any goroutine.
type Revoked struct {
	path     string
	log      *slog.Logger
	current  atomic.Pointer[revocations]
	follower *follower

	mu      sync.Mutex // one reading at a time
	failure failure    // of the last attempt
}

// OpenRevoked reads the file at path and watches it. The error says why it cannot
// be used. Close must be called.
func OpenRevoked(path string, log *slog.Logger) (*Revoked, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	r := &Revoked{path: path, log: log}
	r.follower = newFollower(path)
	if err := r.Reload(); err != nil {
		r.follower.watcher.Close()
		return nil, err
	}
	go r.follower.run(following{
		read:   func() { r.Reload() }, // logs its error
		early:  func() { r.read(true) },
		failed: func() bool { why, _ := r.Failure(); return why != "" },
		seen:   func(durable.Stamp) {},
		still:  func() {},
	})
	return r, nil
}

// Close stops following the file. The last list stays in force. It must be called once.
func (r *Revoked) Close() { r.follower.close() }

// Failure says why the file cannot be read, and since when; "" if it can.
func (r *Revoked) Failure() (why string, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure.why, r.failure.since
}

// Reload reads the file now. After an error the last list stays in force. The error is
// logged too, unless it repeats the last one.
func (r *Revoked) Reload() error { return r.read(false) }

// read reads the file. While the file is being written, half of its lines may be
// missing, so keys that are revoked already stay revoked.
func (r *Revoked) read(partial bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := loadRevoked(r.path)
	before := r.current.Load()
	if err != nil {
		err = fmt.Errorf("reading revoked keys: %w", err)
		if news := r.failure.note(err); news && before != nil {
			r.log.Error("revoked keys not reloaded, keeping those there are", "error", err)
		}
		return err
	}
	r.failure = failure{}
	if partial && before != nil {
		maps.Copy(now.fingerprints, before.fingerprints)
		maps.Copy(now.ids, before.ids)
	}
	r.current.Store(now)
	r.log.Info("revoked keys loaded", "file", r.path, "keys", len(now.fingerprints), "ids", len(now.ids))
	return nil
}

// Guard is the keys of a file, without the revoked ones.
type Guard struct {
	Keys    *File
	Revoked atomic.Pointer[Revoked] // nil: none is
}

// Lookup is File.Lookup for keys that are not revoked. For a revoked key the error
// wraps ErrRevoked.
func (g *Guard) Lookup(key ssh.PublicKey, source netip.Addr, now time.Time) (Grant, error) {
	grant, err := g.Keys.Lookup(key, source, now)
	if err == nil {
		err = g.Refuse(grant)
	}
	if err != nil {
		return Grant{}, err
	}
	return grant, nil
}

// Refuse is an error that wraps ErrRevoked if the key or certificate of grant is
// revoked.
func (g *Guard) Refuse(grant Grant) error {
	if r := g.Revoked.Load(); r != nil {
		if how := r.current.Load().has(grant); how != "" {
			return fmt.Errorf("%w, %s", ErrRevoked, how)
		}
	}
	return nil
}
