package main

import (
	"runtime/debug"
	"strings"
)

// bom is as much of a CycloneDX 1.6 document as there is to say.
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Time      string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type     string    `json:"type"`
	Ref      string    `json:"bom-ref"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	URL      string    `json:"purl"`
	Licences []licence `json:"licenses"`
}

// licence is an SPDX expression.
type licence struct {
	Expression string `json:"expression"`
}

// document describes a program of ours.
func document(name, version, time string) *bom {
	url := "pkg:generic/" + name + "@" + version
	return &bom{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{Time: time, Component: component{
		Type: "application", Ref: url, Name: name, Version: version, URL: url, Licences: []licence{{"ISC"}},
	}}}
}

// library describes a module that the program was linked with.
func library(m *debug.Module, expression string) component {
	url := "pkg:golang/" + strings.ToLower(m.Path) + "@" + m.Version
	return component{"library", url, m.Path, m.Version, url, []licence{{expression}}}
}
