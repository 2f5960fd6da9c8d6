// Publish a run and wait for its end: go run . '{"function": "add", "parameters": {"a": 1, "b": 2}}'
//
// Not tested: no test of Sluice runs Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// publish adds an entry; reply names the stream that is told what became of it.
func publish(ctx context.Context, client *redis.Client, root, document, reply string) (string, error) {
	return client.XAdd(ctx, &redis.XAddArgs{
		Stream: root + ":publish",
		Values: []string{"run", document, "reply", reply},
	}).Result()
}

// wait reads what is told to reply: the answer, then the end. It reports whether the run completed.
func wait(ctx context.Context, client *redis.Client, stream string) (bool, error) {
	last := "0-0"
	for {
		found, err := client.XRead(ctx, &redis.XReadArgs{Streams: []string{stream, last}, Block: 2 * time.Second}).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, entry := range found[0].Messages {
			last = entry.ID
			if state, over := entry.Values["state"]; over {
				fmt.Printf("run %v %v\n", entry.Values["run"], state)
				return state == "completed", nil
			}
			fmt.Printf("%v %v\n", entry.Values["status"], entry.Values["run"])
			if entry.Values["status"] == "rejected" {
				return false, fmt.Errorf("%v", entry.Values["reason"])
			}
		}
	}
}

func run(ctx context.Context, document string) (bool, error) {
	options, err := redis.ParseURL(setting("SLUICE_REDIS_URL", "redis://127.0.0.1:6379/0"))
	if err != nil {
		return false, err
	}
	client := redis.NewClient(options)
	defer client.Close()
	root := "sluice:{" + setting("SLUICE_POOL", "default") + "}"
	reply := fmt.Sprintf("go-%d-%d", os.Getpid(), time.Now().UnixNano())
	entry, err := publish(ctx, client, root, document, reply)
	if err != nil {
		return false, err
	}
	fmt.Println("entry", entry)
	return wait(ctx, client, root+":reply:"+reply)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "give the run as JSON")
		os.Exit(2)
	}
	completed, err := run(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if !completed {
		os.Exit(1)
	}
}
