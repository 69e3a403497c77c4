//go:build !client

package main

import "github.com/spf13/cobra"

func pushCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "push [OPTIONS] [ADDRESS...]",
		Short: "Tell a gateway which addresses this machine has now",
		Long:  pushHelp,
	}
	p := new(pushCall)
	p.flags(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error { return p.run(c.Context(), c.Flags(), args) }
	return c
}
