package main

import (
	"context"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/templating"
)

// restore is the subcommand restore.
type restore struct{ configFile, from string }

func addRestore(app *kingpin.Application) (string, func(context.Context, console) error) {
	var r restore
	cmd := app.Command("restore", "Replace the outbox with a backup. Stop smspager first. The old outbox is kept next to it.\n\n"+
		"At its next start smspager asks the provider about every message that the backup holds as unsent, so none is sent twice.\n\n"+
		"Example: smspager restore -c smspager.yml /var/backups/smspager.db")
	cmd.Flag("config.file", "The configuration file.").Short('c').Default(defaultConfig).StringVar(&r.configFile)
	cmd.Arg("file", "The backup, from smspager backup. It is not changed.").Required().StringVar(&r.from)
	return cmd.FullCommand(), r.run
}

func (r *restore) run(ctx context.Context, c console) error {
	file, err := outboxFile(r.configFile, "restore it with pg_restore")
	if err != nil {
		return err
	}
	messages, kept, err := sqlite.Restore(ctx, file, r.from)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s holds %s\n", file, templating.Counted(messages, "message"))
	if kept != "" {
		fmt.Fprintf(c.out, "what was there before is kept as %s; delete it when you do not need it\n", kept)
	}
	return nil
}
