//go:build !client

package main

import "github.com/spf13/cobra"

// gatewayCommands are those of the gateway itself, which runs on Linux.
func gatewayCommands() []*cobra.Command {
	return []*cobra.Command{
		serveCommand(), initCommand(), quickstartCommand(), checkCommand(), keyCommand(), hostkeyCommand(),
		compileCommand(), getCommand(), restoreCommand(), importCommand(), adminCommand(),
		forcedCommand("allow", "[FLAGS] HOST...", "As a forced command: update these hosts"),
		followCommand(),
		forcedCommand("monitor", "", "As a forced command: the admin commands that only read"),
	}
}
