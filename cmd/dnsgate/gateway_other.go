//go:build !linux && !client

package main

import "github.com/spf13/cobra"

// gatewayCommands are none: on other systems dnsgate is only the client.
func gatewayCommands() []*cobra.Command { return nil }
