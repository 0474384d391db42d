// Package token turns text into the ids a BERT encoder reads.
//
// It owns the tokenizer of a model folder (tokenizer.json) and truncation. Ids equal
// those of the reference tokenizer except that NUL bytes and invalid UTF-8, which it
// cannot take, are removed and replaced first.
//
// A Tokenizer is safe for concurrent use. It never pads.
package token
