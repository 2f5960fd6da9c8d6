"""The dashboards of compose/grafana: what they show, and how Grafana wants it written."""
