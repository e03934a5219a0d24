package confine

// NoFiles is one layer of Guard, to be tried alone.
var NoFiles = noFiles
