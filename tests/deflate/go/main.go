// Encodes what it is asked to and answers with digests.
//
// A question is a level (one byte), a length (eight bytes, big endian) and so many bytes; the answer
// is the length of the stream that compress/flate makes of them in one write, and its SHA-256.
package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"log"
	"os"
)

type question struct {
	Level  int8
	Length uint64
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		var asked question
		if err := binary.Read(in, binary.BigEndian, &asked); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		plain := make([]byte, asked.Length)
		if _, err := io.ReadFull(in, plain); err != nil {
			log.Fatal(err)
		}
		if err := answer(plain, int(asked.Level)); err != nil {
			log.Fatal(err)
		}
	}
}

func answer(plain []byte, level int) error {
	var stream bytes.Buffer
	encoder, err := flate.NewWriter(&stream, level)
	if err != nil {
		return err
	}
	if _, err := encoder.Write(plain); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	if err := binary.Write(os.Stdout, binary.BigEndian, uint64(stream.Len())); err != nil {
		return err
	}
	digest := sha256.Sum256(stream.Bytes())
	_, err = os.Stdout.Write(digest[:])
	return err
}
