package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// assets are the embedded files; each is asked for with a hash of its content,
// so that a browser keeps it until it changes.
type assets struct {
	files  map[string][]byte
	hashes map[string]string
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string][]byte{}, hashes: map[string]string{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return nil, fmt.Errorf("listing the embedded assets: %w", err)
	}
	for _, e := range entries {
		b, err := fs.ReadFile(assetFiles, path.Join("assets", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading an embedded asset: %w", err)
		}
		sum := sha256.Sum256(b)
		a.files[e.Name()], a.hashes[e.Name()] = b, hex.EncodeToString(sum[:6])
	}
	return a, nil
}

// url is the address of a file of the folder assets.
func (a *assets) url(name string) (string, error) {
	hash, ok := a.hashes[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	return "/assets/" + name + "?v=" + hash, nil
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/assets/")
	b, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	// Modules import each other without a hash, so these are asked for again.
	if r.URL.Query().Get("v") == a.hashes[name] {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	w.Header().Set("ETag", `"`+a.hashes[name]+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}
