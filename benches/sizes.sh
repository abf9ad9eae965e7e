# How large a corpus is as a bundle, and as what people carry today; to be sourced.

# sizes_table TITLE CORPUS: LABEL=BUNDLE...
sizes_table() {
    local title=$1 corpus=$2 bundle blobs
    shift 2
    declare -A size
    while read -r name bytes; do size[$name]=$bytes; done <"$corpus/sizes"
    blobs=${size[blobs]}
    echo
    echo "### Sizes: $title"
    echo
    echo "${size[images]} images, ${size[layers]} distinct layers, $(mb "${size[plain]}") MB plain."
    echo
    echo '| | MB | of the gzip blobs |'
    echo '|---|---|---|'
    for bundle in "$@"; do
        sizes_row "sealift, ${bundle%%=*}" "$(bytes_of "${bundle#*=}")"
    done
    sizes_row 'unique gzip blobs' "$blobs"
    sizes_row 'OCI archives, one for each image' "${size[archives]}"
    sizes_row '`docker save`' "${size[save]}"
    sizes_row '`docker save`, `gzip -6`' "${size[save-gzip]}"
    sizes_row '`docker save`, `zstd -3 --long=27`' "${size[save-zstd]}"
}
sizes_row() { echo "| $1 | $(mb "$2") | $(ratio "$2" "$blobs") |"; }
