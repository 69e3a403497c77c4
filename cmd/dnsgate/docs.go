package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print a completion script for bash, zsh, fish or powershell",
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			root, out := c.Root(), c.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return &exit{exUsage, fmt.Errorf("no completion for %q; there is bash, zsh, fish and powershell", args[0])}
		},
	}
}

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a folder", Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return &exit{exIO, err}
			}
			header := &doc.GenManHeader{Title: "DNSGATE", Section: "8", Source: "dnsgate", Manual: "dnsgate"}
			if err := doc.GenManTree(c.Root(), header, args[0]); err != nil {
				return &exit{exIO, err}
			}
			pages, err := filepath.Glob(filepath.Join(args[0], "dnsgate*.8"))
			if err != nil {
				return err
			}
			for _, page := range pages {
				fmt.Fprintln(c.OutOrStdout(), page)
			}
			return nil
		},
	}
}
