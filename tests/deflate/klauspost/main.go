// Records what the real encoders make of the test's inputs, for each level, as SHA-256 of the bare
// deflate stream: name, drive, level, seed and length of the input, digest.
//
// The answers beside this file were made with Go 1.26 and pgzip 1.2.5 by
//
//	for v in 1.14.3 1.14.4 1.15.0 1.15.9 1.15.11 1.15.13 1.15.15 1.17.11 1.18.0 1.18.2 1.19.2 1.20.0 1.20.3; do
//	    go get github.com/klauspost/compress@v$v && go run . $v
//	done > answers
//	GOTOOLCHAIN=go1.27.4 go run . go1.27.4 >> answers
//
// A name that begins with "go" stands for the standard library of the Go that runs this.
package main

import (
	"bytes"
	standard "compress/flate"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/pgzip"
)

// mixture is the function of the same name in klauspost.rs.
func mixture(seed uint64, length int) []byte {
	state := seed*0x9e3779b97f4a7c15 | 1
	draw := func(below int) int {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		return int(state>>11) % below
	}
	var out []byte
	for len(out) < length {
		piece := 1 + draw(1<<16)
		switch draw(6) {
		case 0:
			for i := 0; i < piece; i++ {
				out = append(out, byte(draw(256)))
			}
		case 1:
			for i := 0; i < piece; i++ {
				out = append(out, "etaoin shrdlu\n"[draw(14)])
			}
		case 2:
			for i := 0; i < piece/8; i++ {
				out = append(out, fmt.Sprintf("%d,%d;", i, draw(999))...)
			}
		case 3:
			run := byte(draw(256))
			for i := 0; i < piece; i++ {
				out = append(out, run)
			}
		case 4:
			for i := 0; i < piece; i++ {
				a := draw(256)
				out = append(out, byte(a*draw(256)>>8))
			}
		default:
			below := len(out)
			if below < 1 {
				below = 1
			} else if below > 70000 {
				below = 70000
			}
			back := 1 + draw(below)
			for i := 0; i < piece; i++ {
				copied := byte(0)
				if len(out) >= back {
					copied = out[len(out)-back]
				}
				out = append(out, copied)
			}
		}
	}
	return out[:length]
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	name := os.Args[1]
	drives := map[string]func(io.Writer, int) (io.WriteCloser, error){
		"plain": func(w io.Writer, level int) (io.WriteCloser, error) { return flate.NewWriter(w, level) },
		"pgzip": func(w io.Writer, level int) (io.WriteCloser, error) { return pgzip.NewWriterLevel(w, level) },
	}
	if strings.HasPrefix(name, "go") {
		drives = map[string]func(io.Writer, int) (io.WriteCloser, error){
			"plain": func(w io.Writer, level int) (io.WriteCloser, error) { return standard.NewWriter(w, level) },
		}
	}
	for drive, begin := range drives {
		for level := -2; level <= 9; level++ {
			for _, input := range [][]int{{31, 1200000}, {32, 300000}} {
				var stream bytes.Buffer
				encoder, err := begin(&stream, level)
				check(err)
				_, err = encoder.Write(mixture(uint64(input[0]), input[1]))
				check(err)
				check(encoder.Close())
				raw := stream.Bytes()
				if drive == "pgzip" {
					raw = raw[10 : len(raw)-8]
				}
				fmt.Printf("%s %s %d %d %d %x\n", name, drive, level, input[0], input[1], sha256.Sum256(raw))
			}
		}
	}
}
