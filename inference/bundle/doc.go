// Package bundle writes and loads model bundles.
//
// A bundle is a folder: the encoder's graph, tokenizer.json, heads.json (format
// in package heads), evaluation.json, reference.json (of drift; older bundles have none) and manifest.json, which names every file with
// its size and SHA-256. Its id is derived from them, so two bundles with one id
// score alike and were judged alike. Beside them lie evaluation.html and
// cost.json, which the manifest leaves out.
//
// Invariants: Write leaves either the whole new folder or what was there before;
// Load returns a bundle only if every file is the one that was written and the
// heads fit this program's features. Never: running the encoder, training.
package bundle
