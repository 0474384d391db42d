package config

import (
	"os"
	"regexp"
	"strings"
)

// Privacy holds the secrets of erasures and pseudonyms. Each comes from a file,
// or, for the environment, as the key itself.
type Privacy struct {
	// ErasureKey hashes the ids in the topic of erasures. All runs of a cluster
	// share it, and it lives as long as that topic.
	ErasureKey     Secret `koanf:"erasure_key"`
	ErasureKeyFile string `koanf:"erasure_key_file"`
	// PseudonymKey, if there is one, has admission replace user ids by keyed hashes.
	PseudonymKey     Secret `koanf:"pseudonym_key"`
	PseudonymKeyFile string `koanf:"pseudonym_key_file"`
	// PseudonymKeyID stands before each pseudonym and tells which key made it.
	PseudonymKeyID string `koanf:"pseudonym_key_id"`
}

// minKeyBytes is the shortest key: half of what HMAC-SHA256 can use.
const minKeyBytes = 16

var keyID = regexp.MustCompile(`^[a-z0-9_-]{1,16}$`)

// Erasure returns the key of erasures, empty where none is set.
func (p *Privacy) Erasure() (Secret, error) {
	return readKey(p.ErasureKey, p.ErasureKeyFile, "privacy.erasure_key")
}

// Pseudonym returns the key of pseudonyms, empty where they are off.
func (p *Privacy) Pseudonym() (Secret, error) {
	return readKey(p.PseudonymKey, p.PseudonymKeyFile, "privacy.pseudonym_key")
}

// readKey reads a key, without the line's end; errors are of type *Error.
func readKey(plain Secret, path, name string) (Secret, error) {
	key := plain
	if path != "" {
		if plain != "" {
			return "", &Error{name, "the key and its file are both given"}
		}
		b, err := os.ReadFile(path)
		name += "_file"
		if err != nil {
			return "", &Error{name, "cannot read " + path}
		}
		if key = Secret(strings.TrimRight(string(b), "\r\n")); key == "" {
			return "", &Error{name, path + " is empty"}
		}
	}
	if key != "" && len(key) < minKeyBytes {
		return "", &Error{name, "the key is shorter than 16 bytes; openssl rand -hex 32 makes one"}
	}
	return key, nil
}

func (p *Privacy) check(k *checker) {
	_, err := p.Erasure()
	if err == nil {
		var key Secret
		if key, err = p.Pseudonym(); err == nil {
			id := p.PseudonymKeyID
			k.that(key != "" || id == "", "privacy.pseudonym_key_file", "is needed with privacy.pseudonym_key_id")
			k.that(key == "" || keyID.MatchString(id), "privacy.pseudonym_key_id", "%q is not 1 to 16 of a-z, 0-9, _ and -, which pseudonyms begin with", id)
		}
	}
	if k.err == nil {
		k.err = err
	}
}
