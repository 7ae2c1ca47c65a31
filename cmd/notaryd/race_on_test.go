//go:build race

package main

// raceDetector multiplies memory and time: figures mean nothing with it.
const raceDetector = true
