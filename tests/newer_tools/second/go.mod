module second

go 1.19

require github.com/google/go-containerregistry v0.16.1
