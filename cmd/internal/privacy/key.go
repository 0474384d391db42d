package privacy

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"

	"profilestream/cmd/internal/config"
)

// Hash is the HMAC-SHA256 of a user's id.
type Hash [sha256.Size]byte

// String is the hash in hex, as it is the key of the topic of erasures.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Key makes keyed hashes of ids. It is for many goroutines.
type Key struct {
	// ID tells keys apart without giving them away.
	ID   string
	macs sync.Pool
}

func newKey(secret config.Secret) *Key {
	k := &Key{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(secret.Reveal())) }}}
	id := k.Hash([]byte("profilestream key id"))
	k.ID = hex.EncodeToString(id[:4])
	return k
}

// ErasureKey is the configuration's key of erasures, nil where there is none.
func ErasureKey(p *config.Privacy) (*Key, error) {
	secret, err := p.Erasure()
	if err != nil || secret == "" {
		return nil, err
	}
	return newKey(secret), nil
}

// Hash is the keyed hash of an id.
func (k *Key) Hash(id []byte) (h Hash) {
	mac := k.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(id)
	mac.Sum(h[:0])
	k.macs.Put(mac)
	return h
}

// pseudonymBytes is how much of a hash a pseudonym holds: two of a billion users
// share one with a probability below 10^-20.
const pseudonymBytes = 16

// Pseudonyms replaces ids by "<key id>:<HMAC-SHA256, 128 bits in hex>".
type Pseudonyms struct {
	key    *Key
	prefix []byte
}

// NewPseudonyms returns nil where pseudonyms are off.
func NewPseudonyms(p *config.Privacy) (*Pseudonyms, error) {
	secret, err := p.Pseudonym()
	if err != nil || secret == "" {
		return nil, err
	}
	return &Pseudonyms{newKey(secret), []byte(p.PseudonymKeyID + ":")}, nil
}

// Append appends an id's pseudonym. A pseudonym of the same key id stays what it
// is, so that a dead letter can be sent again.
func (p *Pseudonyms) Append(dst, id []byte) []byte {
	if p.is(id) {
		return append(dst, id...)
	}
	h := p.key.Hash(id)
	return hex.AppendEncode(append(dst, p.prefix...), h[:pseudonymBytes])
}

func (p *Pseudonyms) is(id []byte) bool {
	rest, ok := bytes.CutPrefix(id, p.prefix)
	if !ok || len(rest) != 2*pseudonymBytes {
		return false
	}
	for _, c := range rest {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Stored is the id under which our stores hold a user: a pseudonym where they
// are on, else the id itself.
func (p *Pseudonyms) Stored(user string) string {
	if p == nil {
		return user
	}
	return string(p.Append(nil, []byte(user)))
}
