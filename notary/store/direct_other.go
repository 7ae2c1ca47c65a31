//go:build !linux

package store

// directFlag is 0 where there is no way to write beside the page cache.
const directFlag = 0
