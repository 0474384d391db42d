// Package ctl is the command line of profilectl: one file a command. A command
// reads flags and configuration, calls the package that does the work, and
// prints what a person or a script can read. It owns no logic of the pipeline.
package ctl
