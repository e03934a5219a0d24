// Package packages holds the packages of a release against what they promise. Its
// tests make them first, with `just package` and `just source`.
package packages
