# shellcheck shell=bash
# Images without an engine: one layer, a config, a manifest, in the archive format of `docker save`, which `ctr` imports.

# make_image ARCHIVE ENTRYPOINT(JSON) CMD(JSON) ROOT NAME...: the folder ROOT as an image under these names.
make_image() {
  local archive="$1" entrypoint="$2" arguments="$3" root="$4"
  shift 4
  local dir layer names
  dir="$(mktemp -d "$archive.XXXXXX")"
  # The same content gives the same image.
  tar --create --file "$dir/layer.tar" --directory "$root" --sort name --mtime @0 --owner 0 --group 0 --numeric-owner .
  layer="$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)"
  names="$(printf '"%s",' "$@")"
  cat >"$dir/config.json" <<JSON
{"architecture": "$(image_architecture)", "os": "linux",
 "config": {"Entrypoint": $entrypoint, "Cmd": $arguments, "Env": ["PATH=/:/bin"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}}
JSON
  echo "[{\"Config\": \"config.json\", \"RepoTags\": [${names%,}], \"Layers\": [\"layer.tar\"]}]" >"$dir/manifest.json"
  tar --create --file "$archive" --directory "$dir" manifest.json config.json layer.tar
  rm -r "$dir"
}

image_architecture() {
  case "$(uname -m)" in
  x86_64) echo amd64 ;;
  aarch64) echo arm64 ;;
  *) die "no images for machines of type $(uname -m)" ;;
  esac
}

# watertight_image ARCHIVE PROGRAM: the program, the plugin beside it if there is one, without their symbols, and the libraries that they name.
watertight_image() {
  local root
  root="$(mktemp -d)"
  mkdir "$root/tmp"
  install -s -m 755 "$2" "$root/watertight"
  add_libraries "$root" "$2"
  if [ -x "$(dirname "$2")/watertight-cni" ]; then
    install -s -m 755 "$(dirname "$2")/watertight-cni" "$root/watertight-cni"
    add_libraries "$root" "$root/watertight-cni"
  fi
  make_image "$1" '["/watertight"]' '[]' "$root" "$WATERTIGHT_IMAGE"
  rm -r "$root"
}

# add_libraries ROOT PROGRAM: the shared libraries of a program of this machine, where it looks for them.
add_libraries() {
  local library
  # Lines of ldd: `name => path (address)`, or `path (address)` for the loader.
  for library in $(ldd "$2" | grep -oE '/[^ ]+'); do
    install -D -m 755 "$library" "$1$library"
  done
}
