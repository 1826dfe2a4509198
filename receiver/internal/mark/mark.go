// Package mark keeps typed values in the outbox's marks. A [Kind] reads and writes the values of one
// kind as JSON, with the version by which the store recognizes a conflict.
package mark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// Reader reads marks, as an outbox.Store does.
type Reader interface {
	Marks(ctx context.Context, kind string) ([]outbox.Mark, error)
}

// Kind is the kind of marks whose values are of type T. T must be representable as JSON.
type Kind[T any] string

// Mark is a value with its name and version in the store. A new one has only a Name.
type Mark[T any] struct {
	Name    string
	Version int       // of the mark as read; 0: a new one
	At      time.Time // when it was written
	Value   T
}

// All returns the kind's marks in the order of their names. It leaves out marks that cannot be
// read, and the error names them. If the store fails, it returns only the error.
func (k Kind[T]) All(ctx context.Context, store Reader) ([]Mark[T], error) {
	stored, err := store.Marks(ctx, string(k))
	if err != nil {
		return nil, err
	}
	all := make([]Mark[T], 0, len(stored))
	var errs []error
	for _, m := range stored {
		if read, err := k.read(m); err != nil {
			errs = append(errs, err)
		} else {
			all = append(all, read)
		}
	}
	return all, errors.Join(errs...)
}

func (k Kind[T]) read(m outbox.Mark) (Mark[T], error) {
	read := Mark[T]{Name: m.Name, Version: m.Version, At: m.At}
	if err := json.Unmarshal(m.Doc, &read.Value); err != nil {
		return read, fmt.Errorf("read %s %q: %w", k, e164.Redact(m.Name), err)
	}
	return read, nil
}

// Find returns the mark with a name, or a new one.
func (k Kind[T]) Find(ctx context.Context, store Reader, name string) (Mark[T], error) {
	stored, err := store.Marks(ctx, string(k))
	for _, m := range stored {
		if m.Name == name {
			return k.read(m)
		}
	}
	return Mark[T]{Name: name}, err
}

// Named returns the mark with a name, or a new one.
func Named[T any](all []Mark[T], name string) Mark[T] {
	for _, m := range all {
		if m.Name == name {
			return m
		}
	}
	return Mark[T]{Name: name}
}

// Set returns the mark that stores the value, for an Entry. It panics if the value has no JSON
// form, which its type must exclude.
func (k Kind[T]) Set(m Mark[T], at time.Time) outbox.Mark {
	doc, err := json.Marshal(m.Value)
	if err != nil {
		panic(err)
	}
	return outbox.Mark{Kind: string(k), Name: m.Name, Version: m.Version, At: at, Doc: doc}
}

// Delete returns the mark that deletes the stored one, for an Entry.
func (k Kind[T]) Delete(m Mark[T]) outbox.Mark {
	return outbox.Mark{Kind: string(k), Name: m.Name, Version: m.Version}
}
