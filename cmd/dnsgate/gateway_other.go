//go:build !linux && !client

package main

import "github.com/spf13/cobra"

// gatewayCommands are none: elsewhere dnsgate is the client alone.
func gatewayCommands() []*cobra.Command { return nil }
