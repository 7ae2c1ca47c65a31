package main

import (
	"io/fs"
	"syscall"
)

func markOf(info fs.FileInfo) fileMark {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fileMark{changed: st.Ctim.Nano(), inode: st.Ino}
	}
	return fileMark{}
}
