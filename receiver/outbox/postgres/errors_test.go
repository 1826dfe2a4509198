package postgres_test

import (
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/outbox/postgres"
)

// TestErrorsAreOneLine: the driver writes a line for each address that it tried.
func TestErrorsAreOneLine(t *testing.T) {
	const nobody = "postgres://smspager:s3cret@127.0.0.1:1/smspager" // it is tried with and without TLS
	_, err := postgres.Open(t.Context(), nobody)
	reader, readerErr := postgres.OpenReader(t.Context(), nobody)
	if readerErr != nil {
		t.Fatal(readerErr)
	}
	defer reader.Close()
	_, readErr := reader.Marks(t.Context(), "contact")
	for _, err := range []error{err, readErr} {
		if text := err.Error(); strings.Contains(text, "\n") || strings.Count(text, "connection refused") != 1 || strings.Contains(text, "s3cret") {
			t.Errorf("the error is %q", text)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://a:b@db.example:5432/smspager?sslmode=verify-full": "",
		"postgres://a:b@db.example/smspager?sslmode=nope":             "a host, a port or a parameter that is not valid",
		"postgres://a:s3c@ret@db.example/smspager":                    "has an @; write it as %40",
		"postgres://a:s3c/ret@db.example/smspager":                    "in user and password @ as %40",
		"mysql://a:s3cret@db.example/smspager":                        "write it as postgres://",
		"db.example:5432/smspager":                                    "write it as postgres://",
	} {
		err := postgres.CheckURL(url)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3c")) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

// TestReaderOfANewDatabase: a database that smspager has never used has no marks.
func TestReaderOfANewDatabase(t *testing.T) {
	reader, err := postgres.OpenReader(t.Context(), database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if marks, err := reader.Marks(t.Context(), "contact"); err != nil || len(marks) > 0 {
		t.Errorf("it has %v, %v", marks, err)
	}
}
