//go:build linux && !client

package main

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A gateway whose listener fails ends, with its control socket.
func TestListenerFails(t *testing.T) {
	folder := t.TempDir()
	if status := run([]string{"init", folder}); status != 0 {
		t.Fatalf("init ended with %d", status)
	}
	configFile := filepath.Join(folder, configName)
	cfg, err := loadConfig(configFile)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(configFile, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := d.serve(t.Context(), []net.Listener{l}); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("it ends with %v", err)
	}
	if _, err := os.Stat(cfg.ControlSocket()); err == nil {
		t.Error("the control socket stays")
	}
}
