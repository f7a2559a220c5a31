//go:build needed

// Package tools names the module whose files (not whose code) the image is made of, so that go.sum holds its sum.
package tools

import _ "sigs.k8s.io/kind"
