package receiver_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// audited is a store that prints what it stores. A store on a database of your own would implement
// all of outbox.Store, and be tested with outboxtest.
type audited struct{ outbox.Store }

func (s audited) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	added, err := s.Store.Add(ctx, e)
	for _, m := range e.Messages {
		fmt.Println("stored:", m.Receiver, m.To, err)
	}
	return added, err
}

// A store of your own replaces the one that the configuration names.
func ExampleOptions_store() {
	dir, err := os.MkdirTemp("", "smspager-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(context.Background(), filepath.Join(dir, "outbox.db"))
	if err != nil {
		panic(err)
	}
	r, err := receiver.New(&config.Config{
		TextingHouse: config.TextingHouse{User: "acme", Password: "correct horse"},
		Receivers:    []config.Receiver{{Name: "oncall", To: []string{"+33639980001"}}},
	}, receiver.Options{Store: audited{store}})
	if err != nil {
		panic(err)
	}
	defer r.Close()
	n, err := receiver.Decode([]byte(diskFull))
	if err != nil {
		panic(err)
	}
	result, err := r.Notify(context.Background(), "oncall", n)
	fmt.Println(result.Status, err)
	// Output:
	// stored: oncall +33639980001 <nil>
	// accepted <nil>
}
