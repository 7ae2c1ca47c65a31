package store

import "syscall"

// directFlag opens a file whose writes go to the disk without a copy in the page
// cache.
const directFlag = syscall.O_DIRECT
