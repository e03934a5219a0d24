// Command clefload asks a signer for its accounts over HTTP and prints how long each
// request took, in nanoseconds, one a line; a request that fails gives a line
// "failed: REASON". It runs in a client qube.
//
//	clefload -url http://127.0.0.1:8550 -n 100         each on a connection of its own
//	clefload -url http://127.0.0.1:8550 -n 100 -open   all on one
//	clefload -url http://127.0.0.1:8550 -n 8 -hold     holds connections, after one request each, prints
//	                                                   "held", and ends with its standard input
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const list = `{"jsonrpc":"2.0","id":1,"method":"account_list","params":[]}`

func main() {
	url := flag.String("url", "", "where the signer listens")
	n := flag.Int("n", 1, "number of requests")
	open := flag.Bool("open", false, "use one connection")
	hold := flag.Bool("hold", false, "hold connections until standard input ends")
	flag.Parse()
	transport := &http.Transport{DisableKeepAlives: !*open && !*hold, MaxIdleConnsPerHost: *n}
	if *hold {
		transport.MaxIdleConnsPerHost = 1
	}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	for range *n {
		if *hold { // the one before is never used again
			client = &http.Client{Transport: transport.Clone(), Timeout: 30 * time.Second}
		}
		start := time.Now()
		if err := ask(client, *url); err != nil {
			fmt.Println("failed:", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		if !*hold {
			fmt.Println(time.Since(start).Nanoseconds())
		}
	}
	if *hold {
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

func ask(client *http.Client, url string) error {
	response, err := client.Post(url, "application/json", strings.NewReader(list))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(body), `"result":["0x`) {
		return errors.New(string(body))
	}
	return nil
}
