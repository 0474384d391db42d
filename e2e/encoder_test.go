package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// figure is a figure of evaluation.json with its interval.
type figure struct{ Value, Low, High float64 }

type latentModel struct {
	Name   string
	Figure figure
	Ahead  figure `json:"ahead_of_numbers"`
}

// judged is what TestWhatTheEncoderAdds reads of evaluation.json.
type judged struct {
	Tasks struct {
		Next struct {
			Rows   int
			Models []struct {
				Name    string
				Top1    figure `json:"top_1"`
				LogLoss figure `json:"log_loss"`
			}
			Adds *figure `json:"text_adds_top_1"`
		} `json:"next_category"`
		Latent struct {
			Rows    int
			DropOut []latentModel `json:"drop_out"`
			Spend   []latentModel
		}
	}
}

// TestWhatTheEncoderAdds reads the evaluation of the shared bundle, whose training
// history is simulated: every customer is scored by a model that has not seen it
// and compared with the simulator's truth. E2E_TRAIN_USERS and E2E_TRAIN_EVENTS
// make it larger; what text adds is shown and held to no limit, for at this size
// its interval is wide.
func TestWhatTheEncoderAdds(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(bundle(t), "evaluation.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e judged
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	latent, next := &e.Tasks.Latent, &e.Tasks.Next
	if latent.Rows == 0 || next.Rows == 0 {
		t.Fatalf("the evaluation compares %d rows with the truth and %d next purchases", latent.Rows, next.Rows)
	}
	auc, spearman := map[string]float64{}, map[string]float64{}
	for _, m := range latent.DropOut {
		auc[m.Name] = m.Figure.Value
		t.Logf("latent drop-out, AUC: %-28s %.3f (%.3f to %.3f), ahead of numbers alone %+.3f (%+.3f to %+.3f)", m.Name, m.Figure.Value, m.Figure.Low, m.Figure.High, m.Ahead.Value, m.Ahead.Low, m.Ahead.High)
	}
	for _, m := range latent.Spend {
		spearman[m.Name] = m.Figure.Value
		t.Logf("latent spend, Spearman: %-28s %.3f (%.3f to %.3f), ahead of numbers alone %+.3f (%+.3f to %+.3f)", m.Name, m.Figure.Value, m.Figure.Low, m.Figure.High, m.Ahead.Value, m.Ahead.Low, m.Ahead.High)
	}
	loss := map[string]float64{}
	for _, m := range next.Models {
		loss[m.Name] = m.LogLoss.Value
		t.Logf("next category: %-28s top 1 %.3f (%.3f to %.3f), log loss %.3f", m.Name, m.Top1.Value, m.Top1.Low, m.Top1.High, m.LogLoss.Value)
	}
	if next.Adds != nil {
		t.Logf("next category: text adds %+.3f (%+.3f to %+.3f) to top 1", next.Adds.Value, next.Adds.Low, next.Adds.High)
	}
	for _, baseline := range []string{"recency", "rfm logistic"} {
		if !(auc["model"] > auc[baseline]) {
			t.Errorf("latent drop-out: AUC %.3f of the model is not above %.3f of %s", auc["model"], auc[baseline], baseline)
		}
	}
	if s := spearman["spend of the last 90 days"]; !(spearman["model"] > s) {
		t.Errorf("latent spend: Spearman %.3f of the model is not above %.3f of the last 90 days' spend", spearman["model"], s)
	}
	if l := loss["most-bought category"]; !(loss["model"] < l) {
		t.Errorf("next category: log loss %.3f of the model is not below %.3f of the most-bought category", loss["model"], l)
	}
}
