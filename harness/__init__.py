"""LayerProof's harness: predicts, drives and observes Docker builds; `properties/` judges what it reports."""
