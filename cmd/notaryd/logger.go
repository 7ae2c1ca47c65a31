package main

import (
	"errors"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logDelay is how long a line about a call that went well may wait for others:
// written one by one, they cost more than what they tell of. A crash loses
// those that wait; nothing but an operator's view depends on them.
const logDelay = 200 * time.Millisecond

// newLogger writes JSON lines. Warnings and errors are written at once, and with
// them all that waited before. Whoever made it calls stop at the end.
func newLogger(level string, out io.Writer) (logger *zap.Logger, stop func()) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		parsed = zapcore.InfoLevel
	}
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	// Without out's own Sync: standard error is often a pipe, which has none, and
	// zap would complain there, in lines that are no JSON.
	out = struct{ io.Writer }{out}
	buffer := &zapcore.BufferedWriteSyncer{WS: zapcore.Lock(zapcore.AddSync(out)), Size: 64 << 10, FlushInterval: logDelay}
	core := promptCore{zapcore.NewCore(zapcore.NewJSONEncoder(config), buffer, parsed)}
	return zap.New(core), func() { _ = buffer.Stop() } // nobody is left to tell
}

// promptCore writes what is at least a warning at once.
type promptCore struct{ zapcore.Core }

func (c promptCore) With(fields []zapcore.Field) zapcore.Core { return promptCore{c.Core.With(fields)} }

func (c promptCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c promptCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	err := c.Core.Write(e, fields)
	if e.Level >= zapcore.WarnLevel {
		err = errors.Join(err, c.Sync())
	}
	return err
}
