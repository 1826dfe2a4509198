package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Resolve checks a configuration written in Go. It returns a copy with secrets read, names resolved and defaults set.
// [Load] and [Parse] return resolved configurations; resolving one again changes nothing.
//
// A zero field gets the default of its key, with three exceptions: SendResolved remains false, Limits get the default
// only if they are nil, and an HTTPConfig is used unchanged. Relative file names start at the working directory. The
// error is an [Errors] without positions.
func (cfg *Config) Resolve(checks ...Check) (*Config, error) {
	if cfg == nil {
		return nil, errors.New("no configuration")
	}
	dir, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	d := &decoder{places: map[string]position{"": {}}}
	d.note("", reflect.ValueOf(cfg).Elem())
	resolved := cfg.clone()
	resolved.fillIn()
	v := &validator{decoder: d, dir: dir}
	v.check(resolved, checks)
	if len(d.faults) > 0 {
		return nil, d.faults
	}
	return resolved, nil
}

// note records the keys that a document with this value would have.
func (d *decoder) note(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("yaml")
			if name == "" || name == "-" || v.Field(i).IsZero() {
				continue
			}
			at := strings.TrimPrefix(path+"."+name, ".")
			d.places[at] = position{}
			d.note(at, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			at := fmt.Sprintf("%s[%d]", path, i)
			d.places[at] = position{}
			d.note(at, v.Index(i))
		}
	}
}

// clone returns a copy that shares nothing that Resolve changes.
func (cfg *Config) clone() *Config {
	c := *cfg
	c.Templates = slices.Clone(c.Templates)
	c.Contacts = slices.Clone(c.Contacts)
	c.Rotas = slices.Clone(c.Rotas)
	for i := range c.Rotas {
		c.Rotas[i].HTTPConfig = cloneHTTP(c.Rotas[i].HTTPConfig)
	}
	c.Alertmanager.HTTPConfig, c.Alive.HTTPConfig = cloneHTTP(c.Alertmanager.HTTPConfig), cloneHTTP(c.Alive.HTTPConfig)
	c.Heartbeats = slices.Clone(c.Heartbeats)
	c.Console.Users = slices.Clone(c.Console.Users)
	c.Receivers = slices.Clone(c.Receivers)
	for i := range c.Receivers {
		c.Receivers[i].Escalate = slices.Clone(c.Receivers[i].Escalate)
	}
	return &c
}

// fillIn sets zero fields to their defaults.
func (cfg *Config) fillIn() {
	whole := defaults()
	if cfg.Storage.PostgresURL != "" || cfg.Storage.PostgresURLFile != "" {
		whole.Storage.SQLite = ""
	}
	fill(reflect.ValueOf(cfg).Elem(), reflect.ValueOf(whole))
	for i := range cfg.Rotas {
		var one Rota
		one.setDefaults()
		fill(reflect.ValueOf(&cfg.Rotas[i]).Elem(), reflect.ValueOf(one))
	}
	for i := range cfg.Receivers {
		var one Receiver
		one.setDefaults()
		fill(reflect.ValueOf(&cfg.Receivers[i]).Elem(), reflect.ValueOf(one))
	}
}

// fill sets the zero fields of a struct to defaults, except for booleans.
func fill(v, defaults reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case v.Type().Field(i).Tag.Get("yaml") == "-", f.Kind() == reflect.Bool:
		case f.Kind() == reflect.Struct:
			fill(f, defaults.Field(i))
		case f.IsZero():
			f.Set(defaults.Field(i))
		}
	}
}
