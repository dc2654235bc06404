// SPDX-License-Identifier: MIT

package p2p_test

import (
	"context"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
)

// BenchmarkRequest is one request of 64 bytes and its answer after another.
func BenchmarkRequest(b *testing.B) {
	client, server := pair(b)
	answer := make([]byte, 64)
	server.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return answer, nil })
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	for b.Loop() {
		if _, err := client.Request(ctx, server.Self(), answer); err != nil {
			b.Fatal(err)
		}
		keepRate(b)
	}
}

// keepRate keeps to the requests that one peer is answered in a second.
func keepRate(b *testing.B) {
	b.StopTimer()
	time.Sleep(20 * time.Millisecond)
	b.StartTimer()
}

// BenchmarkState is a request with an answer of the greatest size.
func BenchmarkState(b *testing.B) {
	client, server := pair(b)
	answer := make([]byte, job.MaxState)
	server.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return answer, nil })
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	b.SetBytes(job.MaxState)
	for b.Loop() {
		if _, err := client.Request(ctx, server.Self(), nil); err != nil {
			b.Fatal(err)
		}
		keepRate(b)
	}
}

// BenchmarkPublish is one message of 512 bytes after another, from the call of
// Publish to that of the listener, at less than the rate of one author.
func BenchmarkPublish(b *testing.B) {
	from, to := pair(b)
	heard := make(chan struct{})
	if err := to.Listen(p2p.Work, func(job.PeerID, []byte) p2p.Verdict { heard <- struct{}{}; return p2p.Accept }); err != nil {
		b.Fatal(err)
	}
	ctx, data := deadline(b), make([]byte, 512)
	for b.Loop() {
		if err := from.Publish(ctx, p2p.Work, data); err != nil {
			b.Fatal(err)
		}
		<-heard
		b.StopTimer()
		time.Sleep(10 * time.Millisecond)
		b.StartTimer()
	}
}

// BenchmarkJoin is two new hosts, from the dial to the join.
func BenchmarkJoin(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		from, to := started(b, p2p.Config{Mesh: "m"}), started(b, p2p.Config{Mesh: "m"})
		ctx := deadline(b)
		b.StartTimer()
		if err := from.Connect(ctx, to.Addrs()[0]); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		from.Close()
		to.Close()
		b.StartTimer()
	}
}

// BenchmarkVerify is the check of a signature by a known peer.
func BenchmarkVerify(b *testing.B) {
	h := newHost(b, p2p.Config{Mesh: "m"})
	defer h.Close()
	data := make([]byte, 512)
	sig, err := h.Sign(data)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := h.Verify(h.Self(), data, sig); err != nil {
			b.Fatal(err)
		}
	}
}
