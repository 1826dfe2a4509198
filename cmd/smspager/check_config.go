package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
)

// checkConfig is the subcommand check-config.
type checkConfig struct {
	files  []string
	output string
}

func addCheckConfig(app *kingpin.Application) (string, func(context.Context, console) error) {
	var cc checkConfig
	cmd := app.Command("check-config", "Check configuration files, their templates and secrets included. Every fault is told at once; exit code 1 where there is one.\n\n"+
		"Example: smspager check-config smspager.yml")
	outputFlag(cmd, &cc.output)
	cmd.Arg("file", "Configuration files.").Required().StringsVar(&cc.files)
	return cmd.FullCommand(), cc.run
}

// checked is the result of one file.
type checked struct {
	File      string `json:"file"`
	OK        bool   `json:"ok"`
	Error     string `json:"error,omitempty"`
	Receivers int    `json:"receivers"`
}

func (cc *checkConfig) run(_ context.Context, c console) error {
	faulty := 0
	results := []checked{}
	for _, file := range cc.files {
		cfg, err := receiver.LoadConfig(file)
		r := checked{File: file, OK: err == nil}
		if err != nil {
			faulty++
			r.Error = err.Error()
		} else {
			r.Receivers = len(cfg.Receivers)
		}
		results = append(results, r)
	}
	if cc.output == "json" {
		if err := json.NewEncoder(c.out).Encode(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			if r.OK {
				fmt.Fprintf(c.out, "%s: valid, %s\n", r.File, count(r.Receivers, "receiver"))
			} else {
				fmt.Fprintln(c.err, r.Error)
			}
		}
	}
	if faulty > 0 {
		return &exitError{code: 1}
	}
	return nil
}
