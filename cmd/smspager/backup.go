package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// backup is the subcommand backup.
type backup struct{ configFile, to string }

func addBackup(app *kingpin.Application) (string, func(context.Context, console) error) {
	var b backup
	cmd := app.Command("backup", "Copy the outbox, as it is at one moment, to a new file, while smspager runs. smspager restore puts it back.\n\n"+
		"Example: smspager backup -c smspager.yml /var/backups/smspager.db")
	cmd.Flag("config.file", "The configuration file.").Short('c').Default("smspager.yml").StringVar(&b.configFile)
	cmd.Arg("file", "The copy. It must not exist.").Required().StringVar(&b.to)
	return cmd.FullCommand(), b.run
}

func (b *backup) run(ctx context.Context, c console) error {
	cfg, err := receiver.LoadConfig(b.configFile)
	if err != nil {
		return err
	}
	if cfg.Storage.SQLite == "" {
		return errors.New("the outbox is in PostgreSQL; copy it with pg_dump")
	}
	messages, err := sqlite.Backup(ctx, cfg.Storage.SQLite, b.to)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s holds %d messages\n", b.to, messages)
	return nil
}
