// Package etcd runs real etcd nodes on loopback for tests.
package etcd

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// Tool returns the path of a tool of the module tools: server, etcdctl or
// etcdutl. They are built when its go.sum is new.
func Tool(t testing.TB, name string) string {
	t.Helper()
	folder, err := tools()
	if err != nil {
		t.Fatalf("building etcd: %v", err)
	}
	return filepath.Join(folder, name)
}

var tools = sync.OnceValues(func() (folder string, err error) {
	_, here, _, _ := runtime.Caller(0)
	module := filepath.Join(filepath.Dir(here), "tools")
	sums, err := os.ReadFile(filepath.Join(module, "go.sum"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder = filepath.Join(cache, "dnsgate-test", fmt.Sprintf("etcd-%x", sha256.Sum256(sums))[:21])
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	return folder, build(module, folder)
})

// build builds the tools unless another test has.
func build(module, folder string) error {
	lock, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	whole := filepath.Join(folder, "whole")
	if _, err := os.Stat(whole); err == nil {
		return nil
	}
	c := exec.Command("go", "build", "-C", module, "-ldflags=-s -w", "-o", folder+"/", "tool")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return os.WriteFile(whole, nil, 0o644)
}
