//go:build !client

package main

import (
	"encoding/xml"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTaskScheduler reads the task of docs/callers.md as far as it can be read here:
// it is XML, and its ssh asks nothing and takes no other host key.
func TestTaskScheduler(t *testing.T) {
	page, err := os.ReadFile("../../docs/callers.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```xml\n(.*?)```").FindSubmatch(page)
	if found == nil {
		t.Fatal("the page has no task")
	}
	var task struct {
		XMLName   xml.Name `xml:"http://schemas.microsoft.com/windows/2004/02/mit/task Task"`
		Query     string   `xml:"Triggers>EventTrigger>Subscription"`
		Arguments string   `xml:"Actions>Exec>Arguments"`
	}
	if err := xml.Unmarshal(found[1], &task); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(task.Query), new(struct{})); err != nil {
		t.Errorf("the query of events: %v", err)
	}
	for _, option := range []string{"-n ", "BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"} {
		if !strings.Contains(task.Arguments, option) {
			t.Errorf("without %s: %s", option, task.Arguments)
		}
	}
}
