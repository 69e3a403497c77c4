package config

import _ "embed"

//go:embed dnsgate.toml
var template []byte

// Template is the commented dnsgate.toml that shows every key with its default.
func Template() []byte { return append([]byte(nil), template...) }
