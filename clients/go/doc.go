// Package client submits statements to a Trial Notary and keeps their receipts.
//
// It owns what a site needs around the API: hashing files, storing a signed
// statement durably before it is sent, sending the same bytes again until there
// is an answer, checking every receipt offline before it is reported, and
// remembering the largest checkpoint of each log so that a log that was rolled
// back or forked is refused.
//
// It promises that no file's content leaves the machine, that a retry never
// signs again, and that a receipt which did not verify is never reported as
// success. It never imports the server.
package client
