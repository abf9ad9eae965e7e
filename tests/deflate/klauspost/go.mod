module answers

go 1.19

require (
	github.com/klauspost/compress v1.20.3
	github.com/klauspost/pgzip v1.2.5
)
