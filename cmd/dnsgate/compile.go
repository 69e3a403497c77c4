//go:build linux && !client

package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"dnsgate/internal/screen"
	"dnsgate/internal/tinydns"

	"github.com/spf13/cobra"
)

func compileCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "compile",
		Short: "Compile data to data.cdb, as djb's tinydns-data does",
		Args:  cobra.ArbitraryArgs, // tinydns-data minds none
	}
	dir := c.Flags().StringP("directory", "C", ".", "`DIR` of data and data.cdb")
	c.RunE = func(c *cobra.Command, _ []string) error {
		end := func() {}
		err := tinydns.CompileWatched(*dir, func(size int64) (work io.Writer) {
			work, end = screen.Progress(c.ErrOrStderr(), size)
			return work
		})
		if end(); err != nil {
			fmt.Fprintf(c.ErrOrStderr(), "tinydns-data: fatal: %v\n", err)
			return &exit{status: 111}
		}
		return nil
	}
	return c
}

func getCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get TYPE NAME [CLIENT-IP]",
		Short: "Answer a query from data.cdb here, as tinydns-get does",

		DisableFlagParsing: true, // nor does tinydns-get know any
		RunE: func(c *cobra.Command, args []string) error {
			err := tinydns.Get(c.OutOrStdout(), ".", args, time.Now())
			switch {
			case err == nil:
				return nil
			case errors.Is(err, tinydns.ErrUsage):
				fmt.Fprintf(c.ErrOrStderr(), "tinydns-get: %v\n", err)
				return &exit{status: 100}
			}
			fmt.Fprintf(c.ErrOrStderr(), "tinydns-get: fatal: %v\n", err)
			return &exit{status: 111}
		},
	}
}
