//go:build linux && !client

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"dnsgate/internal/records"
	"dnsgate/internal/screen"
	"dnsgate/internal/sysexits"

	"github.com/spf13/cobra"
)

func restoreCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "restore < BACKUP",
		Short: "Fill an empty state folder, or etcd prefix, from a backup",
		Long: `Fill an empty state folder, or etcd prefix, from what the admin command "backup"
wrote:

    ssh -p 2222 gate.example.com backup > backup
    dnsgate restore < backup`,
		Args: arguments(0, 0),
	}
	configFile := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := loadConfig(*configFile)
		if err != nil {
			return err
		}
		work, end := screen.Progress(c.ErrOrStderr(), sizeOf(c.InOrStdin()))
		place, err := restoreStore(c.Context(), cfg, io.TeeReader(c.InOrStdin(), work))
		end()
		var bad *records.BackupError
		switch {
		case errors.As(err, &bad):
			return &exit{sysexits.Data, err}
		case err != nil:
			return &exit{sysexits.IO, err}
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "restored into %s\n", place)
		return err
	}
	return c
}

// sizeOf is the size of in, in bytes, or 0 if it is not known.
func sizeOf(in io.Reader) int64 {
	f, ok := in.(*os.File)
	if !ok {
		return 0
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}
