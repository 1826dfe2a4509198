package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed assets/htmx.js assets/hx-sse.js assets/live.js assets/style.css assets/icon.svg
var assetFiles embed.FS

// assets serves files under names that contain a hash of their content, so that a browser never needs
// to fetch one again.
type assets struct {
	paths map[string]string // by file name
	files map[string]*asset // by name with the hash
}

type asset struct {
	kind  string // its content type
	plain []byte
	gzip  func() []byte
}

func newAssets(base string) (*assets, error) {
	a := &assets{paths: make(map[string]string), files: make(map[string]*asset)}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		content, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			return nil, err
		}
		hash := sha256.Sum256(content)
		ext := path.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), ext) + "." + hex.EncodeToString(hash[:6]) + ext
		a.paths[entry.Name()] = base + "/assets/" + name
		a.files[name] = &asset{kind: mime.TypeByExtension(ext), plain: content, gzip: sync.OnceValue(func() []byte { return compressed(content) })}
	}
	return a, nil
}

func compressed(content []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // fails only if the level does not exist
	_, _ = z.Write(content)
	_ = z.Close()
	return b.Bytes()
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file := a.files[r.PathValue("name")]
	if file == nil {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	content := file.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		content = file.gzip()
	}
	_, _ = w.Write(content) // it fails only if the client has gone
}
