// Command clefload asks a signer for its accounts over HTTP and prints how long each
// request took, in nanoseconds, one a line; a request that fails gives a line
// "failed: REASON". With -parallel, a line "wall: NANOSECONDS" tells how long all
// took together. It runs in a client qube.
//
//	clefload -url http://127.0.0.1:8550 -n 100         each on a connection of its own
//	clefload -url http://127.0.0.1:8550 -n 100 -open   all on one
//	clefload -url http://127.0.0.1:8550 -n 100 -parallel 100 [-sign]
//	                                                   all at once; -sign: each for a signature of a text of its own
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

	"github.com/splitvault/splitvault/test/figures/atonce"
)

type options struct {
	url         string
	n, parallel int
	open, hold  bool
	sign        bool
	within      time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.url, "url", "", "where the signer listens")
	flag.IntVar(&o.n, "n", 1, "number of requests")
	flag.IntVar(&o.parallel, "parallel", 1, "requests at a time")
	flag.BoolVar(&o.open, "open", false, "use one connection")
	flag.BoolVar(&o.sign, "sign", false, "sign instead of listing")
	flag.BoolVar(&o.hold, "hold", false, "hold connections until standard input ends")
	flag.DurationVar(&o.within, "within", 30*time.Second, "time for each answer")
	flag.Parse()
	if o.hold {
		hold(o)
		return
	}
	requests(o)
}

func (o options) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: !o.open && !o.hold, MaxIdleConnsPerHost: 1}, Timeout: o.within}
}

func requests(o options) {
	client := o.client()
	lines := make([]string, o.n)
	atonce.Run(o.n, o.parallel, func(i int) {
		start := time.Now()
		if err := ask(client, o, i); err != nil {
			lines[i] = "failed: " + strings.ReplaceAll(err.Error(), "\n", " ")
			return
		}
		lines[i] = fmt.Sprint(time.Since(start).Nanoseconds())
	})
	for _, line := range lines {
		fmt.Println(line)
	}
}

func hold(o options) {
	for i := range o.n {
		if err := ask(o.client(), o, i); err != nil { // the connection before is never used again
			fmt.Println("failed:", strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

const (
	list = `{"jsonrpc":"2.0","id":1,"method":"account_list","params":[]}`
	sign = `{"jsonrpc":"2.0","id":%d,"method":"account_signData","params":["text/plain","0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F","0x%x"]}`
)

// ask sends one request. Each text to sign is another one, and each answer must be
// to its own request.
func ask(client *http.Client, o options, i int) error {
	request, want := list, `"id":1,"result":["0x`
	if o.sign {
		request, want = fmt.Sprintf(sign, i, fmt.Sprintf("text %d", i)), fmt.Sprintf(`"id":%d,"result":"0x`, i)
	}
	response, err := client.Post(o.url, "application/json", strings.NewReader(request))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(body), want) {
		return errors.New(string(body))
	}
	return nil
}
