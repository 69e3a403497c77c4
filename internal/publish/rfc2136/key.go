package rfc2136

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// keyFile is where a TSIG key comes from: a secret's base64, to which the
// configuration gives name and algorithm, or a key statement of named.conf(5)
// with all three, as tsig-keygen(8) writes it:
//
//	key "dnsgate" {
//		algorithm hmac-sha256;
//		secret "...";
//	};
//
// What the file holds is never part of an error: any word may be the secret.
type keyFile struct {
	path      string
	name      string // "": the statement's
	algorithm string // "": the statement's, or hmac-sha256
}

const (
	maxKeyFile       = 64 << 10 // bytes
	minSecret        = 16       // bytes; RFC 8945 section 8 asks for 128 bits and more
	defaultAlgorithm = "hmac-sha256"
)

func newKeyFile(path, name, algorithm string) (keyFile, error) {
	f := keyFile{path: path}
	var err error
	if path == "" {
		return f, errors.New("tsig_secret_file is missing: updates are always signed")
	}
	if name != "" {
		if f.name, err = domainName(name); err != nil {
			return f, fmt.Errorf("tsig_name %q: %w", name, err)
		}
	}
	if algorithm != "" {
		if f.algorithm, err = hmacName(algorithm); err != nil {
			return f, fmt.Errorf("tsig_algorithm %q: %w", algorithm, err)
		}
	}
	return f, nil
}

func hmacName(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if _, known := tsigHashes[name]; !known {
		known := strings.Join(slices.Sorted(maps.Keys(tsigHashes)), ", ")
		return "", fmt.Errorf("not one of %s; make a new key with tsig-keygen -a %s", known, defaultAlgorithm)
	}
	return name, nil
}

// read returns the key that the file holds now.
func (f keyFile) read() (tsigKey, error) {
	text, err := readSecret(f.path)
	if err != nil {
		return tsigKey{}, err
	}
	key, line, err := parseKey(text)
	if err == nil {
		key, err = f.complete(key)
	}
	if err != nil {
		return tsigKey{}, fmt.Errorf("%s:%d: %w", f.path, line, err)
	}
	return key, nil
}

// ReadTSIG reads a TSIG key as New does with the same three options, for
// other requests to its server. secret is base64. Errors never quote it.
func ReadTSIG(path, name, algorithm string) (keyName, keyAlgorithm, secret string, err error) {
	f, err := newKeyFile(path, name, algorithm)
	if err != nil {
		return "", "", "", err
	}
	key, err := f.read()
	if err != nil {
		return "", "", "", err
	}
	return key.name, key.algorithm, base64.StdEncoding.EncodeToString(key.secret), nil
}

// complete adds the configuration's words, which must not contradict the file.
func (f keyFile) complete(key tsigKey) (tsigKey, error) {
	switch {
	case key.name == "" && f.name == "":
		return key, errors.New("a secret without a key name: set tsig_name")
	case key.name != "" && f.name != "" && key.name != f.name:
		return key, fmt.Errorf("the key statement has another name than tsig_name, %s", f.name)
	case key.algorithm != "" && f.algorithm != "" && key.algorithm != f.algorithm:
		return key, fmt.Errorf("the key statement has another algorithm than tsig_algorithm, %s", f.algorithm)
	}
	if key.name == "" {
		key.name = f.name
	}
	if key.algorithm == "" {
		key.algorithm = f.algorithm
	}
	if key.algorithm == "" {
		key.algorithm = defaultAlgorithm
	}
	return key, nil
}

// readSecret reads a file that nobody but its owner may read or write.
func readSecret(path string) (string, error) {
	// Without O_NONBLOCK a FIFO in the file's place would be waited for.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("reading the TSIG key: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the TSIG key: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s: mode %04o lets others read or write the TSIG key; chmod 600 it",
			path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return "", fmt.Errorf("reading the TSIG key: %w", err)
	}
	if len(text) > maxKeyFile {
		return "", fmt.Errorf("%s: more than %d bytes: not a TSIG key", path, maxKeyFile)
	}
	return string(text), nil
}

// parseKey reads a secret or a key statement; line is where the error is, or
// where the key begins.
// With a bare secret, name and algorithm stay empty.
func parseKey(text string) (key tsigKey, line int, err error) {
	if !strings.Contains(text, "{") {
		// White space may stand in it: base64(1) breaks its lines.
		key.secret, err = decodeSecret(strings.Join(strings.Fields(text), ""))
		return key, 1, err
	}
	words, line, err := keyWords(text)
	if err != nil {
		return key, line, err
	}
	s := keyStatement{words: words, line: 1}
	if key, err = s.parse(); err != nil {
		return key, s.line, err
	}
	return key, words[0].line, nil
}

func decodeSecret(s string) ([]byte, error) {
	if s == "" {
		return nil, errors.New("there is no secret")
	}
	secret, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, errors.New("the secret is not base64")
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("the secret has %d bytes; %d are the least", len(secret), minSecret)
	}
	return secret, nil
}

// keyStatement reads words from the first to the last.
type keyStatement struct {
	words []keyWord
	line  int // of the word read last
}

func (s *keyStatement) parse() (key tsigKey, err error) {
	if !s.skip("key") {
		return key, errors.New(`neither one secret in base64 nor a statement key "NAME" { algorithm ...; secret "..."; };`)
	}
	if key.name, err = domainName(s.word()); err != nil {
		return key, errors.New("no key name after key")
	}
	if !s.skip("{") {
		return key, errors.New("no { after the key's name")
	}
	for !s.skip("}") {
		if err := s.clause(&key); err != nil {
			return key, err
		}
	}
	s.skip(";")
	switch {
	case len(s.words) > 0:
		s.line = s.words[0].line
		return key, errors.New("more than one key statement: keep each key in a file of its own")
	case key.algorithm == "":
		return key, errors.New("the key statement has no algorithm")
	case key.secret == nil:
		return key, errors.New("the key statement has no secret")
	}
	return key, nil
}

// clause reads "algorithm NAME;" or "secret BASE64;".
func (s *keyStatement) clause(key *tsigKey) (err error) {
	switch {
	case s.skip("algorithm") && key.algorithm == "":
		if key.algorithm, err = hmacName(s.word()); err != nil {
			return fmt.Errorf("algorithm: %w", err)
		}
	case s.skip("secret") && key.secret == nil:
		if key.secret, err = decodeSecret(s.word()); err != nil {
			return err
		}
	default:
		s.word()
		return errors.New("in a key statement stand algorithm and secret, once each")
	}
	if !s.skip(";") {
		return errors.New("a ; is missing")
	}
	return nil
}

// word takes the next word; "" when a mark or the end comes next.
func (s *keyStatement) word() string {
	if len(s.words) == 0 {
		return ""
	}
	w := s.words[0]
	s.line = w.line
	if w.mark {
		return ""
	}
	s.words = s.words[1:]
	return w.text
}

// skip takes the next word or mark if it is want.
func (s *keyStatement) skip(want string) bool {
	if len(s.words) == 0 || s.words[0].text != want || s.words[0].mark != strings.Contains(marks, want) {
		return false
	}
	s.line, s.words = s.words[0].line, s.words[1:]
	return true
}

// keyWord is a word of named.conf's syntax, or one of its marks.
type keyWord struct {
	text string
	mark bool
	line int
}

const marks = "{};"

// keySyntax matches what text begins with: white space or a comment of one of
// the three styles, a quoted word, a mark, or a word.
var keySyntax = regexp.MustCompile(`^(?s:(\s+|(?:#|//)[^\n]*|/\*.*?\*/)|"([^"\n]*)"|([` + marks + `])|([^\s"` + marks + `]+))`)

// keyWords splits text; line is where it ends, or where it cannot be split.
func keyWords(text string) (words []keyWord, line int, err error) {
	for line = 1; text != ""; {
		m := keySyntax.FindStringSubmatch(text)
		if m == nil {
			return nil, line, errors.New("a quoted word does not end on its line")
		}
		if m[1] == "" {
			words = append(words, keyWord{text: m[2] + m[3] + m[4], mark: m[3] != "", line: line})
		}
		line += strings.Count(m[0], "\n")
		text = text[len(m[0]):]
	}
	return words, line, nil
}
